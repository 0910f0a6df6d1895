import numpy

numpy.random.seed(7)
KERNEL = numpy.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]]) / 8


def blur(grid):
    padded = numpy.pad(grid, 1, mode="edge")
    return sum(
        KERNEL[dy, dx] * padded[dy : dy + grid.shape[0], dx : dx + grid.shape[1]]
        for dy in range(3)
        for dx in range(3)
    )


def main(dict):
    n = dict.get("size", 3)
    grid = numpy.zeros((n, n))
    grid[n // 2, n // 2] = 8
    return {"rows": blur(grid).tolist(), "noise": numpy.random.randint(0, 10, 3).tolist()}
