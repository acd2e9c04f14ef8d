from __future__ import annotations

from sdk import XRequestConfig, get_model_list_client, inference_client

model_list = get_model_list_client()
model_type = model_list.data[0].id
print(f"model_type: {model_type}")

query = "浙江的省会在哪里?"
request_config = XRequestConfig(seed=42)
resp = inference_client(model_type, query, request_config=request_config)
response = resp.choices[0].message.content
print(f"query: {query}")
print(f"response: {response}")

history = [(query, response)]
query = "这有什么好吃的?"
request_config = XRequestConfig(stream=True, seed=42)
stream_resp = inference_client(model_type, query, history, request_config=request_config)
print(f"query: {query}")
print("response: ", end="")
for chunk in stream_resp:
    print(chunk.choices[0].delta.content, end="", flush=True)
print()
