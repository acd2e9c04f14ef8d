"""The chat page: conversations in a browser, over any server that speaks OpenAI's API. It needs Gradio."""
