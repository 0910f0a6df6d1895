import no_such_library_anywhere


def main(args):
    return {}
