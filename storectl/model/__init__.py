"""What the nouns are, and what each keeper promises. No I/O."""
