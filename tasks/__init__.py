"""What runs in the consumer process: Huey tasks, one formats or algo call each."""
