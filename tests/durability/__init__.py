"""Does every stroke survive a kill?"""
