from __future__ import annotations

import asyncio

from sdk import XRequestConfig, get_model_list_client, inference_client, inference_client_async

model_type = get_model_list_client().data[0].id
print(f"model_type: {model_type}")

query = "浙江 -> 杭州\n安徽 -> 合肥\n四川 ->"
request_config = XRequestConfig(max_tokens=32, temperature=0.1, seed=42)
resp = inference_client(model_type, query, request_config=request_config)
print(f"response: {resp.choices[0].text}")

request_config.stream = True
stream_resp = inference_client(model_type, query, request_config=request_config)
print("response: ", end="")
for chunk in stream_resp:
    print(chunk.choices[0].text, end="", flush=True)
print()


async def _stream():
    print("response: ", end="")
    async for chunk in await inference_client_async(model_type, query, request_config=request_config):
        print(chunk.choices[0].text, end="", flush=True)
    print()


asyncio.run(_stream())
