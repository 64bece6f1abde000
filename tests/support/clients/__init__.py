"""Real package managers, and the repositories, mirrors and server that they meet."""
