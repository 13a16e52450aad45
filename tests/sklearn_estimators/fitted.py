"""What tests look at in a fitted estimator."""


def weights_of(estimator):
    return {key: array.tobytes() for key, array in estimator.net_.weights().items()}
