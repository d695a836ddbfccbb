"""Statistics of people who judge images: how often they are right, whether they agree, what that proves. Pure numpy; knows no image."""
