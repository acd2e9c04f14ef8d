"""Fine-tuning with LoRA: what a run is made of, where it is kept, and how it is trained, stopped and resumed."""
