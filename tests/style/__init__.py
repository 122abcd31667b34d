"""What a machine can check of the house rules. Every checker has a test that it rejects a bad sample."""
