"""What people said of the features of `synthetic_store`, kept in memory."""

from featurestore.annotations.records import Verdict
from featurestore.records import FeatureQuery

PLAIN = FeatureQuery("planted", sort="n_active", include_dead=True)
LABELS = ("a river", "numbers: one, two", "line ends", "RIVERS and lakes", "100% of '%'")


class Said:
    """What was said, kept in memory."""

    def __init__(self) -> None:
        self.judged = {feature: list(Verdict)[feature % 4] for feature in range(0, 90, 3)}
        self.said = [(feature, "label", LABELS[feature % 5]) for feature in range(0, 60, 2)]
        self.said += [
            (7, "note", "see\nthe river"),
            (7, "tag", "riverside"),
            (7, "note", "river 3"),
        ]
        self.explained = [
            (feature, "explanation", f"tokens of kind {feature}") for feature in range(40)
        ]
        self.asked: list[tuple[str, ...]] = []

    def verdicts(self, digest: str) -> dict[int, str]:
        self.asked.append((digest,))
        return {feature: str(verdict) for feature, verdict in self.judged.items()}

    def texts(self, digest: str, place: str) -> list[tuple[int, str, str]]:
        self.asked.append((digest, place))
        return self.said if place == "annotations" else self.explained
