"""Scheduled inventory updates on DynamoDB: exactly once, beside other writers."""

__version__ = "0.2.0"
