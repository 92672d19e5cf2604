"""A room for WebSocket clients, in each framework: whoever is in it hears what anyone says, and who has left.

Path /room/NAME: text is said to all as it is; bytes come back, reversed, to who sent them; "bye" has the application
close with 4000 and a reason. When somebody leaves, the others hear "left CODE". The subprotocol "room" is taken where
it is offered; whoever asks for the room "closed" is refused.
"""
