from multiprocessing import Pool


def is_prime(n):
    return n > 1 and all(n % d for d in range(2, int(n**0.5) + 1))


def main(args):
    numbers = range(args["upto"])
    with Pool(2) as pool:
        found = pool.map(is_prime, numbers, chunksize=50)
    return {"primes": [n for n, prime in zip(numbers, found) if prime]}
