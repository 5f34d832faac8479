"""The parts of the window around the canvas: each shows one side of the session and asks the bridge."""
