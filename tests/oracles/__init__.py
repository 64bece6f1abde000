"""Independent models: slow, written from the rules' text, sharing no code with what they judge."""
