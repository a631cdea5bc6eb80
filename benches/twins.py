#!/usr/bin/env python3
"""Copies of labelled data sets that say the same in another form, to be scored like the originals.

usage: twins.py DATASETS OUT KIND [SEED]

KIND is one of
  renamed   files, services and words have other names
  rescaled  each column or series is multiplied by a factor of its own, 0.001 to 1000
  offset    a series is moved by one to three of its ranges; series alone
  shifted   all times are later by 173 days and 5 hours; of templates each digit is another one
  jittered  values have noise of a fiftieth of their inter-quartile range, times of a tenth of their step (rounded to seconds);
            lines of logs come in another order; of tables with a fault the range is that of the normal part
  noisy     the same, but the range is that of the whole table, so that a fault drowns what was usual before it

OUT gets series, templates and rca-metrics as DATASETS has them, labels moved along. Standard library only."""
import csv, gzip, hashlib, io, json, os, random, re, shutil, statistics, sys
from datetime import datetime, timedelta

LATER = timedelta(days=173, hours=5)
STAMP = "%Y-%m-%d %H:%M:%S"


def seeded(seed, *parts):
    text = "/".join((str(seed),) + parts)
    return random.Random(int(hashlib.sha256(text.encode()).hexdigest()[:16], 16))


def read(path):
    raw = open(path, "rb").read()
    raw = gzip.decompress(raw) if path.endswith(".gz") else raw
    return raw.decode()


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    raw = text.encode()
    with open(path, "wb") as out:
        out.write(gzip.compress(raw, mtime=0) if path.endswith(".gz") else raw)


def table(path):
    rows = list(csv.reader(io.StringIO(read(path))))
    return rows[0], rows[1:]


def put_table(path, head, rows):
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([head] + rows)
    write(path, out.getvalue())


def number(text):
    try:
        value = float(text)
    except ValueError:
        return None
    return value if value == value else None


def changed(column, kind, rng, normal=None):
    """The values of a column in their new form, with noise by the first `normal` of them; what is no number stays."""
    values = [number(text) for text in column]
    known = sorted(v for v in values if v is not None)
    if not known or kind not in ("rescaled", "offset", "jittered", "noisy"):
        return column
    if kind == "rescaled":
        factor = 10 ** rng.uniform(-3, 3)
        new = [None if v is None else v * factor for v in values]
    elif kind == "offset":
        by = ((known[-1] - known[0]) or 1.0) * rng.uniform(1, 3)
        new = [None if v is None else v + by for v in values]
    else:
        usual = [v for v in values[:normal] if v is not None]
        quarter = statistics.quantiles(usual, n=4) if len(usual) > 1 else [0, 0, 0]
        noise = (quarter[2] - quarter[0]) / 50
        new = [None if v is None else v + rng.gauss(0, noise) if noise else v for v in values]
    return [text if v is None else repr(v) for text, v in zip(column, new)]


def series(source, out, kind, seed):
    names = {}
    windows = json.load(open(os.path.join(source, "nab", "windows.json")))
    for folder in ("tsbad", "nab"):
        for name in sorted(os.listdir(os.path.join(source, folder))):
            if ".csv" not in name or name == "MAP.csv":
                continue
            base = name.split(".csv")[0]
            rng = seeded(seed, folder, base)
            # The scorer takes what stands before the first two underscores for a folder.
            new = f"k{rng.randrange(10**6)}__s{rng.randrange(10**9)}" if kind == "renamed" else base
            names[base] = new
            head, rows = table(os.path.join(source, folder, name))
            at = head.index("Data") if "Data" in head else head.index("value")
            column = changed([row[at] for row in rows], kind, rng)
            for row, value in zip(rows, column):
                row[at] = value
            if "timestamp" in head and kind in ("shifted", "jittered", "noisy"):
                stamp = head.index("timestamp")
                times = [datetime.strptime(row[stamp], STAMP) for row in rows]
                steps = sorted(b - a for a, b in zip(times, times[1:]))
                step = steps[len(steps) // 2].total_seconds()
                for row, time in zip(rows, times):
                    by = LATER if kind == "shifted" else timedelta(seconds=round(rng.uniform(-step, step) / 10))
                    row[stamp] = (time + by).strftime(STAMP)
            put_table(os.path.join(out, folder, name.replace(base, new)), head, rows)
    moved = LATER if kind == "shifted" else timedelta()
    later = lambda text: (datetime.strptime(text.split(".")[0], STAMP) + moved).strftime(STAMP) + ".000000"
    told = {names[k.split(".csv")[0]] + ".csv": [[later(a), later(b)] for a, b in v] for k, v in windows.items()}
    write(os.path.join(out, "nab", "windows.json"), json.dumps(told, indent=1))


def word(rng):
    """A name that nobody has heard of."""
    return "".join(rng.choice("bdfgklmnprstvz") + rng.choice("aeiou") for _ in range(rng.randrange(2, 5)))


def rca(source, out, kind, seed):
    truths = {c: json.load(open(os.path.join(source, c, "truth.json")))
              for c in sorted(os.listdir(source)) if os.path.exists(os.path.join(source, c, "truth.json"))}
    known = sorted({name for t in truths.values() for name in t["candidates"] + [t["root_service"]]})
    for folder in sorted(os.listdir(source)):
        path = os.path.join(source, folder, "graph.csv")
        if os.path.exists(path):
            known = sorted(set(known) | set(table(path)[0][1:]))
    rng = seeded(seed, "services")
    names = {name: name for name in known}
    if kind == "renamed":
        fresh = set()
        while len(fresh) < len(known):
            fresh.add(word(rng))
        fresh = sorted(fresh)
        rng.shuffle(fresh)
        names = dict(zip(known, fresh))
    longest = sorted(known, key=len, reverse=True)

    def renamed(column):
        for name in longest:
            if column == name or column.startswith(name + "_"):
                return names[name] + column[len(name):]
        return column

    def metrics(path, to, of, begins):
        head, rows = table(path)
        normal = sum(float(row[0]) < begins for row in rows) if kind == "jittered" and begins else None
        for at, column in enumerate(head):
            if at == 0:
                if kind == "shifted":
                    for row in rows:
                        row[0] = repr(float(row[0]) + LATER.total_seconds()) if "." in row[0] else str(int(row[0]) + int(LATER.total_seconds()))
                continue
            # One factor for a column of a system, in its normal part and in its faults.
            rng = seeded(seed, of, column) if kind == "rescaled" else seeded(seed, path, column)
            for row, value in zip(rows, changed([row[at] for row in rows], kind, rng, normal)):
                row[at] = value
        put_table(to, [head[0]] + [renamed(c) for c in head[1:]], rows)

    for folder in sorted(os.listdir(source)):
        for name in sorted(os.listdir(os.path.join(source, folder))):
            path, to = os.path.join(source, folder, name), os.path.join(out, folder, name)
            if name.endswith(".csv.gz"):
                of = "sock-shop" if folder.startswith("ss-") else "petshop"
                # A fault of the pet shop is a table of its own.
                metrics(path, to, of, truths[folder]["t_inject"] if of == "sock-shop" else None)
            elif name == "graph.csv":
                head, rows = table(path)
                put_table(to, [head[0]] + [names.get(c, c) for c in head[1:]],
                          [[names.get(row[0], row[0])] + row[1:] for row in rows])
            elif name == "truth.json":
                truth = truths[folder]
                for key in ("t_inject", "t_alert"):
                    if kind == "shifted" and key in truth:
                        truth[key] += int(LATER.total_seconds())
                truth["candidates"] = [names[c] for c in truth["candidates"]]
                if truth.get("root_metric"):
                    truth["root_metric"] = renamed(truth["root_metric"])
                truth["root_service"] = names[truth["root_service"]]
                if "alert" in truth:
                    truth["alert"]["node"] = names.get(truth["alert"]["node"], truth["alert"]["node"])
                write(to, json.dumps(truth))
            else:
                os.makedirs(os.path.dirname(to), exist_ok=True)
                shutil.copy(path, to)


def fits(template, line):
    pattern = ".*?".join(re.escape(part.strip()) for part in re.split(r"<[A-Z_*]+>", template))
    return re.fullmatch(re.sub(r"(\\\s)+", r"\\s+", pattern), line.strip()) is not None


def templates(source, out, kind, seed):
    for name in sorted(os.listdir(source)):
        if not name.endswith(".truth.csv"):
            continue
        system = name[: -len(".truth.csv")]
        head, rows = table(os.path.join(source, name))
        at = head.index("EventTemplate")
        lines = open(os.path.join(source, system + ".content.txt"), newline="").read().split("\n")
        lines, end = lines[: len(rows)], lines[len(rows):]
        rng = seeded(seed, system)
        if kind == "renamed":
            # Words of five letters or more by others of as many; what has a digit beside it is no word.
            soft, hard = "aeiou", "bcdfghjklmnpqrstvwxyz"
            key = {}
            for letters in (soft, hard):
                other = list(letters)
                rng.shuffle(other)
                key.update(zip(letters, other))
            key.update({a.upper(): b.upper() for a, b in key.items()})
            say = lambda m: "".join(key[c] for c in m.group())
            change = lambda text: re.sub(r"(?<![A-Za-z0-9])[A-Za-z]{5,}(?![A-Za-z0-9])", say, text)
        elif kind == "shifted":
            other = list("123456789")
            rng.shuffle(other)
            digits = str.maketrans("123456789", "".join(other))
            change = lambda text: text.translate(digits)
        else:
            change = lambda text: text
        said = [change(line) for line in lines]
        told = ["<*>".join(change(part) for part in row[at].split("<*>")) for row in rows]
        # Where a word ends in a variable the line and its template may have changed apart: such templates stay as they are.
        apart = {row[at] for row, line, template in zip(rows, said, told) if not fits(template, line)}
        apart -= {row[at] for row, line in zip(rows, lines) if not fits(row[at], line)}
        lines = [a if row[at] in apart else b for row, a, b in zip(rows, lines, said)]
        for row, template in zip(rows, told):
            row[at] = row[at] if row[at] in apart else template
        if kind in ("jittered", "noisy"):
            order = list(range(len(rows)))
            rng.shuffle(order)
            lines, rows = [lines[n] for n in order], [[str(k + 1)] + rows[n][1:] for k, n in enumerate(order)]
        write(os.path.join(out, system + ".content.txt"), "\n".join(lines + end))
        put_table(os.path.join(out, name), head, rows)


def main():
    source, out, kind = sys.argv[1:4]
    seed = sys.argv[4] if len(sys.argv) > 4 else "1"
    if kind not in ("renamed", "rescaled", "offset", "shifted", "jittered", "noisy"):
        sys.exit(__doc__)
    series(os.path.join(source, "series"), os.path.join(out, "series"), kind, seed)
    rca(os.path.join(source, "rca-metrics"), os.path.join(out, "rca-metrics"), kind, seed)
    templates(os.path.join(source, "templates"), os.path.join(out, "templates"), kind, seed)


if __name__ == "__main__":
    main()
