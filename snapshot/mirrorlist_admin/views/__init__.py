"""What people see of the store, as frozen values: mirrors and their states, timelines, propagation. Reads only."""
