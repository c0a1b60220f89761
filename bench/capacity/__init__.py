"""What the measured figures come to at 15 TB a day: assumptions, arithmetic, and the section that shows both."""
