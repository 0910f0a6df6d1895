def stopwords(language):
    with open(f"data/{language}.txt", encoding="utf-8") as f:
        return set(f.read().split())
