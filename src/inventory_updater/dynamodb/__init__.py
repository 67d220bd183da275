"""How to talk to DynamoDB."""
