"""What several tests share: synthetic images and label maps, stand-ins for rooms."""
