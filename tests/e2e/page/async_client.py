from __future__ import annotations

import asyncio

from sdk import XRequestConfig, get_model_list_client, inference_client_async

model_list = get_model_list_client()
model_type = model_list.data[0].id
print(f"model_type: {model_type}")

query = "浙江的省会在哪里?"
request_config = XRequestConfig(seed=42)
tasks = [inference_client_async(model_type, query, request_config=request_config) for _ in range(5)]


async def _batch_run(tasks):
    return await asyncio.gather(*tasks)


resp_list = asyncio.run(_batch_run(tasks))
for resp in resp_list:
    print(f"response: {resp.choices[0].message.content}")

response = asyncio.run(inference_client_async(model_type, query, request_config=request_config))
history = [(query, response.choices[0].message.content)]
query = "这有什么好吃的?"
request_config.stream = True


async def _stream():
    stream_resp = await inference_client_async(model_type, query, history, request_config=request_config)
    async for chunk in stream_resp:
        print(chunk.choices[0].delta.content, end="", flush=True)
    print()


print("streamed: ", end="")
asyncio.run(_stream())
