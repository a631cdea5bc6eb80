//! Queries written down rather than made: where readers of PromQL and of regular expressions tend to differ.

/// Each is answered as Prometheus answers it, with the same values or the same class of error.
pub(super) const QUERIES: &[&str] = &[
    // Numbers.
    "010", "0777", "08", "09.5", "00", "0x", "0x1.8", "0X1f", "0x1e+5", "1e400", "1e-400", "0xffffffffffffffff",
    "0x7fffffffffffffff", "9223372036854775808", "1_000", "0b1", "1e", "1.2.3", "5.", ".5", "vector(1.5e-7)",
    "vector(-1e-100)", "vector(1e20)", "vector(1e21)", "vector(123456789e20)", "vector(1e-6)", "-0",
    // Brackets, ranges and times.
    "(gen_zone)[5m]", "(gen_zone) offset 1m", "(gen_zone) @ 1", "((gen_zone))", "rate((gen_zone[5m]))",
    "rate((gen_zone)[5m])", "gen_zone offset 0s", "gen_zone[0s]", "gen_zone offset - 1m", "gen_zone offset +1m",
    "gen_zone @ +5", "gen_zone @ -5", "gen_zone @ START()", "gen_zone @ 010", "gen_zone @ Inf", "gen_zone @ 1e400", "5m",
    "gen_zone[1.5m]", "gen_zone[1h5]", "gen_zone[5m1h]",
    // Names.
    "gen_zone{__name__!=\"y\"}", "gen_zone{__name__=~\"g.*\"}", "gen_zone{__name__=\"\"}", "gen_zone{,}",
    "gen_zone{zone=\"west\",}", "sum by (zone,) (gen_zone)", "sum by (,) (gen_zone)", "inf{}", "sum by (Inf) (gen_zone)",
    "gen_zone{inf=\"a\"}", "SUM(gen_zone)", "gen_zone == BOOL gen_zone",
    // Parameters are judged where there is nothing to take from.
    "topk(NaN, none)", "topk(Inf, none)", "bottomk(1e30, none)", "topk(scalar(none), none)",
];

/// Each may be a keyword, a metric's name or a label's.
pub(super) const WORDS: &[&str] = &[
    "and", "or", "unless", "atan2", "bool", "on", "ignoring", "group_left", "group_right", "by", "without", "offset",
    "start", "end", "avg", "sum", "topk", "count_values", "quantile", "stddev", "group", "inf", "NaN", "On", "BY",
];

/// Where a word of [`WORDS`] may stand.
pub(super) const PLACES: &[&str] = &[
    "@", "@{a=\"b\"}", "1 + @", "@ + 1", "sum by (@) (gen_zone)", "gen_zone == @", "gen_zone{@=\"b\"}", "@[5m]", "@ offset 5m",
    "gen_zone + on (zone) group_left (@) gen_zone",
];

/// Regular expressions, read by RE2's rules or refused by them.
pub(super) const PATTERNS: &[&str] = &[
    r"\<west\>", r"west\>", r"\<west", "(?x)west", "(?u)west", "(?-u)west", "(?R)west", "(?i)WEST", "(?-)west", "(?)west",
    "(?i-)west", "(?i-s:W)est", "(?ii)West", "(?U)w.*", "(?P<n>w)(?P<n>e).*", "(?P<1a>west)", "(?P<>west)", "(?<n>west)",
    "(?P<a-b>west)", "(?=w)west", "(?#c)west", "w**est", "w*?est", "w*??est", "w*+est", "w+*", "(w*)*est", "w(?i)*EST",
    "w*(?i)*EST", "(?i)*", "west|*", "(*a)", "()*west", "(?:)*west", "^*west", "west$+", r"\bwest\b", r"\b{2}west",
    r"w\Best", r"\u0077est", r"\x77est", r"\x{77}est", r"\x{00000077}est", r"\x{}", r"\x{110000}", r"\x{d800}",
    r"[^\x{d800}]+", r"\x7", r"\pL+", r"\pé", r"\p{^Lu}+", r"\P{^Lu}+", r"\p{Cs}", r"\PC+", r"\p{Alphabetic}+",
    r"\p{latin}+", r"\p{Latin}+", r"(?i)\p{Lu}+", r"(?i)\P{Lu}+", r"\pLest", r"\p{}", r"\p", r"\C", r"\Awest\z", r"west\Z",
    r"\G", r"\E", r"\Q\Ewest", r"\Q\E*", r"west\Q\E*", r"\Qwest", r"\Qwest\E", r"\Qwe\Est", r"\_", r"\é", r"\1", r"\11",
    r"\167est", r"\0", r"\8", r"\e", r"\h", r"\R", "wes{1}t", "wes{0}t", "wes{1,2000}t", "wes{1001}t", "(w{100}){11}",
    "(w{0,100}){10}est", "(w{100}){0,11}", "((w{100}){1,1}){11}", "((w{1000}){0}){1000}west", "west{,2}", "west{,2}0",
    "w{0", "west{", "w{a}", "w{00}", "w{01}", "w{2,1}", "{2}", "{", "}", "w{1,99999999999}", "w{1}{1}est", "w{1}?{1}est",
    "w{1}?est", "[v--x]est", "[w-]est", "[--x]+", "[-w]est", "[v-x-y]est", "[v-z&&a-w]est", "[w~~e]est", "[w&&e]+st",
    "[x-v]est", "[]", "[]w]est", "[^]]+", "[^]", "[[:alpha:]]+", "[[:foo:]]", "[[:^digit:]]+", "[[:word:]]+",
    "[[:alpha:", "[[.w.]]est", "[[=w=]]est", "[[w]est", "[w[e]+st", r"[\d-z]+", r"[a-\d]", r"[\b]", r"[\Qw\E]est",
    r"[\pL]+", r"[\p{Foo}]", r"(?i)[\W]+", r"(?i)[V-X]EST", "[w", r"[\", r"w\", "(west", "west)", "west)|(north", "(?P<n",
    "(?i", "(?", "(", ")", "(?i:W)est", "(?i:w|n(?-i:orth)).*", "west||north", "|", "(|west)", "w.st", "(?s)w.st",
    "(?m)^west$", "(?m)west$", "we#st", "we st", "w\u{e9}st|west",
];
