"""From records to figures. Pure: arrays in, figures out."""
