"""What each part of the page shows, as plain values that the template only lays out."""
