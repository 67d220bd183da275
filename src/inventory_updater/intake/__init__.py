"""From whom changes come."""
