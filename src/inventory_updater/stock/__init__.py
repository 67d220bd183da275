"""What stock is: pure, no I/O."""
