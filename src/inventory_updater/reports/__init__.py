"""To whom a job reports."""
