"""What stands in front of Whorl: whom to believe, and what it says of the client it serves."""
