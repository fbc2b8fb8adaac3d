"""The queries of promql.py: random ones for the given series, and fixed ones that must be refused."""

RANGE_FUNCTIONS = ("rate", "increase", "delta", "avg_over_time", "min_over_time", "max_over_time", "sum_over_time",
                   "count_over_time", "last_over_time")
AGGREGATIONS = ("sum", "avg", "min", "max", "count")
ARITHMETIC = ("+", "-", "*", "/", "%", "^")
COMPARISONS = ("==", "!=", ">", "<", ">=", "<=")
RANGES = ("5s", "15s", "30s", "1m", "1m30s", "5m", "10m", "1h", "90m", "250ms")
STEPS = ("1", "2.5", "5", "7.001", "15", "30s", "60", "1m", "137", "5m", "600", "10m")


class Queries:
    def __init__(self, chance, series, first, last):
        self.chance, self.first, self.last = chance, first, last
        self.families = {}
        for labels in series:
            self.families.setdefault(labels["__name__"], []).append(labels)
        self.names = sorted(self.families)
        self.labels = sorted({key for labels in series for key in labels if key != "__name__"})

    def all(self, each):
        """(construct, path, parameters), `each` per construct, half of them instant."""
        makers = {name: self.over_range for name in RANGE_FUNCTIONS}
        makers |= {name: self.aggregation for name in AGGREGATIONS}
        makers |= {op: self.arithmetic for op in ARITHMETIC} | {op: self.comparison for op in COMPARISONS}
        makers |= {"scalar": self.scalar, "vector": self.vector, "time": self.time, "selector": self.plain,
                   "several names": self.names_alike, "negation": self.negation, "literals": self.literals}
        for construct, make in makers.items():
            for index in range(each):
                query = make(construct)
                if index % 2:
                    yield construct, "query_range", {"query": query} | self.span()
                else:
                    yield construct, "query", {"query": query, "time": self.moment()}
        for _ in range(each):
            yield "range", "query", {"query": self.selector() + f"[{self.duration()}]", "time": self.moment()}

    def moment(self):
        """A time in the data or a little outside; often the exact timestamp of a sample."""
        at = self.chance.uniform(self.first - 400, self.last)
        return self.chance.choice((f"{at:.3f}", f"{at:.0f}", f"{at:.1f}", f"{at // 60 * 60:.0f}"))

    def span(self):
        step = self.chance.choice(STEPS)
        seconds = {"30s": 30, "1m": 60, "5m": 300, "10m": 600}.get(step) or float(step)
        start = float(self.moment())
        length = seconds * self.chance.choice((0, 1, 10, 100, 400, 1000)) + self.chance.choice((0, 0, 0.4))
        return {"start": f"{start:.3f}", "end": f"{min(start + length, max(start, self.last)):.3f}", "step": step}

    def duration(self):
        return self.chance.choice(RANGES)

    def matcher(self, labels):
        key = self.chance.choice(self.labels)
        value = labels.get(key, "")
        plain = value.isalnum()
        pattern = self.chance.choice((f"{value}|x", f"{value[:2]}.*", ".+", ".*", f"(?:{value})", "[0-2]")) if plain \
            else self.chance.choice((".+", ".*", "", "[a-z].*"))
        quoted = '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        return self.chance.choice((f"{key}={quoted}", f"{key}={quoted}", f'{key}=~"{pattern}"', f'{key}!~"{pattern}"',
                                   f"{key}!={quoted}", f"{key}!='none'", f'{key}=""'))

    def selector(self, counter=False):
        names = [name for name in self.names if name.endswith("_total")] if counter else self.names
        name = self.chance.choice(names or self.names)
        labels = self.chance.choice(self.families[name])
        matchers = [self.matcher(labels) for _ in range(self.chance.choice((0, 0, 1, 1, 2)))]
        if self.chance.random() < 0.15:
            return "{" + ", ".join([f'__name__="{name}"', *matchers]) + "}"
        return name + ("{" + ",".join(matchers) + "}" if matchers else "")

    def ranged(self, function):
        counter = function in ("rate", "increase") and self.chance.random() < 0.8
        return f"{function}({self.selector(counter)}[{self.duration()}])"

    def number(self):
        return self.chance.choice(("2", "0", "1e3", "-1.5", "0x10", "007", "1000", "100", "3.25e-2", "Inf", "300"))

    def operand(self):
        """An instant vector."""
        kind = self.chance.random()
        if kind < 0.4:
            return self.selector()
        if kind < 0.8:
            return self.ranged(self.chance.choice(RANGE_FUNCTIONS))
        return self.aggregated(self.chance.choice(AGGREGATIONS), self.selector())

    def single(self):
        """A scalar."""
        return self.chance.choice((self.number(), self.number(), "time()", f"scalar({self.operand()})",
                                   "(time() - 1e9)", f"scalar(sum({self.selector()}))", "(2 * 3 ^ 2)"))

    def grouping(self):
        names = self.chance.sample(self.labels, self.chance.choice((0, 1, 1, 2)))
        names += self.chance.choice(([], [], ["__name__"], ["none"]))
        return f"{self.chance.choice(('by', 'without', 'BY'))} ({', '.join(names)})"

    def aggregated(self, function, operand):
        return self.chance.choice((f"{function}({operand})", f"{function} {self.grouping()} ({operand})",
                                   f"{function}({operand}) {self.grouping()}"))

    def over_range(self, function):
        query = self.ranged(function)
        return self.chance.choice((query, query, query, self.aggregated("sum", query), f"{query} * {self.number()}"))

    def aggregation(self, function):
        return self.aggregated(function, self.operand())

    def arithmetic(self, op):
        return self.chance.choice((f"{self.operand()} {op} {self.single()}", f"{self.single()} {op} {self.operand()}",
                                   f"{self.single()} {op} {self.single()}"))

    def comparison(self, op):
        value = self.chance.choice((self.single(), "300", "0.5", "40"))
        return self.chance.choice((f"{self.operand()} {op} {value}", f"{value} {op} {self.operand()}",
                                   f"{self.operand()} {op} bool {value}", f"{self.single()} {op} bool {value}"))

    def scalar(self, _):
        return self.chance.choice((f"scalar({self.operand()})", f"scalar({self.operand()}) + 1",
                                   f"vector(scalar({self.operand()}))"))

    def vector(self, _):
        return self.chance.choice((f"vector({self.single()})", f"sum(vector({self.single()}))",
                                   f"vector(time()) % {self.number()}"))

    def time(self, _):
        return self.chance.choice(("time()", f"time() - {self.number()}", f"{self.operand()} * time()", "-time()"))

    def plain(self, _):
        return self.selector()

    def negation(self, _):
        return self.chance.choice((f"-{self.operand()}", f"-({self.operand()}) ^ 2", f"+{self.operand()}",
                                   f"2 * -{self.selector()}", f"-{self.single()}"))

    def names_alike(self, _):
        several = self.chance.choice(('{__name__=~"perjoule_gpu_power.*"}', '{__name__=~".*_watts"}', '{gpu="1"}',
                                      '{__name__=~"perjoule_gpu_.*power.*",gpu=~"[013]"}'))
        return self.chance.choice((several, f"{several} * 2", f"-{several}", f"{several} > 100", f"{several} >bool 100",
                                   f"sum by (gpu) ({several})", f"avg_over_time({several}[5m])",
                                   f"last_over_time({several}[1m])", f"rate({several}[1m])",
                                   f"count({several}) by (__name__)", f"scalar({several})"))

    def literals(self, _):
        return self.chance.choice(("1", "1 + 1", "-5 ^ 2", "2 ^ 3 ^ 2", "2 ^ -1", "1 / 0", "-1 / 0", "0 / 0", "NaN",
                                   "inf", "0x1F", "017", "08", ".5", "5.", "1e-7", "1e21", "123456789.125",
                                   "1e300 * 1e10", "7 % 4 - -3", "-7 % 4", "1 == bool 1", "1 # a comment",
                                   "\n1 +\n# more\n2", "+1",
                                   "((((1))))", "1 > bool 2 + 3", "2 * 3 > bool 5", "0.1 + 0.2", "1e100", "-0",
                                   "0 * -1"))


def listings(series, first, last):
    name = series[0]["__name__"]
    keys = sorted({key for labels in series for key in labels})
    yield "labels", {}
    yield "labels", {"match[]": name}
    yield "labels", {"match[]": name, "start": f"{first:.3f}", "end": f"{first + 10:.3f}"}
    yield "labels", {"match[]": "none"}
    for key in keys:
        yield f"label/{key}/values", {}
        yield f"label/{key}/values", {"match[]": '{__name__=~".*watts"}'}
    yield "label/none/values", {}
    yield "label/no-label/values", {}
    yield "series", {}
    yield "series", {"match[]": '{__name__=~".+"}'}
    yield "series", {"match[]": '{__name__=~".+_total"}', "start": f"{last - 1:.3f}", "end": f"{last:.3f}"}
    yield "series", {"match[]": "none"}
    yield "series", {"match[]": name, "start": "yesterday"}
    yield "query", {"query": "1+1", "time": "4"}
    yield "query", {"query": '"a \\"text\\""', "time": "4.5"}
    yield "query", {"query": "`raw \\ text`", "time": "1970-01-01T00:00:07.25Z"}
    yield "query", {"query": "time()", "time": "2023-05-05T12:30:00+02:00"}
    yield "query", {"query": "time()", "time": "-1.5"}
    yield "query", {"query": "1", "time": "tomorrow"}
    yield "query", {"query": "1", "time": "1", "timeout": "soon"}
    for bad in ({"start": "x"}, {"end": "x"}, {"step": "x"}, {"step": "0"}, {"step": "-1"}, {"step": "-1m"},
                {"start": "20", "end": "10"}, {"end": "12000", "step": "1"}, {"end": "11000", "step": "1"},
                {"query": "up[5m]"}, {"query": '"text"'}, {"step": ""}, {"start": ""}, {"step": "1e30"},
                {"step": "1x"}):
        yield "query_range", {"query": "1", "start": "0", "end": "10", "step": "1"} | bad


# Both refuse these at the same place. (The daemon stops reading a query at the first unsupported construct.)
ERRORS = (
    "", " ", "1 +", "(1", "1)", "foo bar", "foo{", "foo{a=}", 'foo{a="b"', 'foo{a="b",,}', "foo{,}", "foo{a=b}", "{}",
    '{a=""}', '{a=~".*"}', '{a!="b"}', 'foo{__name__="bar"}', 'foo{a=~"("}', "foo[5m", "foo[5]", "foo[]", "foo[0s]",
    "foo[5m5m]", "foo[1s1m]", "foo[5mm]", "(foo)[5m]", "rate(foo)[5m]", "foo[5m][5m]", "1[5m]", "rate(foo)", "rate()",
    "rate(foo[5m], 1)", "rate(foo[5m],)", "sum()", "sum(1)", "sum(foo, 1)", "sum by (a", "sum by a (foo)",
    "sum by (1) (foo)", "sum(foo[5m])", "scalar(1)", "vector(foo)", "time(1)", "nothing(foo)", "1 == 1",
    "foo + bool 1", "foo + foo[5m]", "foo[5m] + 1", '"a" + 1', "-foo[5m]", '-"a"', "foo =~ 1", "foo = 1", "foo ! 1",
    "foo & 1", "1x", "1e", "0x", "1.2.3", '"open', "'open", "`open", '"\\q"', "5m", "foo{a='b'}{c='d'}",
    "sum by (a) foo", "\n\n  foo bar", "avg_over_time(foo)", "bool", "on", "foo bool 1", "1 + + ", "*1",
    'foo{a="b" c="d"}', "foo]", "}", "sum(foo) by", "1 > 2", "sum(1) + (", "rate(foo) + vector(foo)",
    "sum({}) + foo[5]", "-(foo[5m])", "sum by (foo:bar) (foo)", "foo{a:b='c'}", "(foo", "((1)", "foo{1='a'}", "[5m]",
    "foo[5m]]", "foo[[5m]", "'\\x4'", "'\\400'", "'\\ud800'", "inf()", "9e", "0x1.8", "1e999")

# Prometheus answers these and the daemon does not: the query, and the construct and place that its error names.
UNSUPPORTED = (
    ("histogram_quantile(0.9, foo)", "histogram_quantile() at 1:1:"), ("1 + abs(foo)", "abs() at 1:5:"),
    ("foo offset 5m", "offset at 1:5:"), ("foo @ 5", "@ at 1:5:"), ("rate(foo[5m:1m])", "subquery at 1:9:"),
    ("rate(foo[5m:])", "subquery at 1:9:"), ("rate(foo[5m] offset 1m)", "offset at 1:14:"),
    ("foo + foo", '"+" between'), ("foo > bar", '">" between'), ("foo and bar", "and at 1:5:"),
    ("foo or bar", "or at 1:5:"), ("foo unless bar", "unless at 1:5:"), ("(foo or bar)", "or at 1:6:"),
    ("topk(3, foo)", "topk() at 1:1:"), ("stddev(foo)", "stddev() at 1:1:"),
    ("group by (a) (foo)", "group() at 1:1:"), ("foo + on (a) bar", "on() at 1:7:"),
    ("foo * ignoring (a) group_left bar", "ignoring() at 1:7:"), ("irate(foo[5m])", "irate() at 1:1:"),
    ("label_replace(foo, 'a', 'b', 'c', 'd')", "label_replace() at 1:1:"), ("foo atan2 bar", "atan2 at 1:5:"),
    ("absent(foo)", "absent() at 1:1:"), ("quantile(0.5, foo)", "quantile() at 1:1:"))
