"""The prober: reads the master, asks the mirrors, concludes, and writes what is in force."""
