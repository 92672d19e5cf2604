"""A FastAPI application whose one path takes and returns a Pydantic model."""

from __future__ import annotations

from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()


class Item(BaseModel):
    name: str
    price: float
    tags: list[str]


@app.post("/items")
async def create(item: Item) -> Item:
    return item
