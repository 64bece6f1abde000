"""The web server of the admin side: check-in of mirrors, and pages about them that everyone may read."""
