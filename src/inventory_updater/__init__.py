"""Scheduled inventory updates on DynamoDB: exactly once, beside other writers."""

__version__ = "0.1.0"
