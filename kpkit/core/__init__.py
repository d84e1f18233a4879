"""Arrays and rules; numpy only, no file or image I/O."""
