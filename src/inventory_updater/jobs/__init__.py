"""When: opening, working on and closing a job."""
