"""Check-in: mirrors report what they have; a report is a hint that the prober verifies, and may always lower."""
