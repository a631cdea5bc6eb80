#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use super::*;

#[test]
fn precedence_and_height() {
    fn show(expr: &Expr) -> String {
        match expr {
            Expr::Number(n) => n.to_string(),
            Expr::Selector(s) => s.matchers[0].exactly().unwrap_or("?").to_owned(),
            Expr::Range(s, range) => format!("{}[{range}]", s.matchers[0].exactly().unwrap_or("?")),
            Expr::Negated(of) => format!("-({})", show(of)),
            Expr::Binary(b) => format!("({} {:?} {})", show(&b.left), b.op, show(&b.right)),
            Expr::Aggregate(a) => format!("{:?}{:?}({})", a.kind, a.labels, show(&a.of)),
            Expr::Call(_, arguments) => format!("f({})", arguments.iter().map(show).collect::<Vec<_>>().join(", ")),
        }
    }
    let cases = [
        ("1+2*3", "(1 Add (2 Mul 3))"),
        ("1-2-3", "((1 Sub 2) Sub 3)"),
        ("2^3^2", "(2 Pow (3 Pow 2))"),
        ("-2^2", "-((2 Pow 2))"),
        ("2^-1*3", "((2 Pow -1) Mul 3)"),
        ("-a*b", "(-(a) Mul b)"),
        ("+1", "1"),
        ("a or b and c unless d", "(a Or ((b And c) Unless d))"),
        ("a > bool 1 + 2", "(a Gt (1 Add 2))"),
        ("1 == bool 2 != bool 3", "((1 Eq 2) Ne 3)"),
        ("SUM(a)", "Sum[](a)"),
        ("sum by (x, y,) (a)", "Sum[\"x\", \"y\"](a)"),
        ("sum(a) without (x)", "Sum[\"x\"](a)"),
        ("topk(3, a)", "TopK[](a)"),
        ("sum", "sum"),
        ("rate(a{b=\"c\"}[1h30m])", "f(a[5400000])"),
        ("a:b:c # comment\n + 0x1F", "(a:b:c Add 31)"),
        ("010 + 0777 + 08 + 09.5", "(((8 Add 511) Add 8) Add 9.5)"),
        ("0x1e+5", "(30 Add 5)"),
        ("rate((a[5m]))", "f(a[300000])"),
        ("by + offset", "(by Add offset)"),
        ("and and or", "(and And or)"),
        ("sum by (bool, on, atan2) (a)", "Sum[\"bool\", \"on\", \"atan2\"](a)"),
        ("a @ START() + a @ +5", "(a Add a)"),
        ("1e-400", "0"),
        ("1e3 + .5 + Inf + 5.", "(((1000 Add 0.5) Add inf) Add 5)"),
        ("(((a)))", "a"),
        ("a offset -5m", "a"),
        ("a[5m] @ end() offset 1m", "a[300000]"),
    ];
    for (text, want) in cases {
        assert_eq!(show(&query(text).unwrap_or_else(|e| panic!("{text}: {e}"))), want, "{text}");
    }
}

#[test]
fn strings_are_unquoted_by_the_rules_of_go() {
    let cases = [
        (r#"{a="b\"\\\n\t\x41\101\u00e9"}"#, "b\"\\\n\tAA\u{e9}"),
        (r#"{a='it\'s "so"'}"#, "it's \"so\""),
        (r"{a=`\n(`}", r"\n("),
        (r##"{a="#no comment ] } ("}"##, "#no comment ] } ("),
    ];
    for (text, want) in cases {
        assert_eq!(selector(text, &mut Budget::default()).unwrap()[0].exactly(), Some(want), "{text}");
    }
}

#[test]
fn what_is_wrong_or_not_supported_is_said() {
    let cases = [
        ("", "unexpected end of input"),
        ("a +", "1:4: parse error: unexpected end of input"),
        ("a b", "1:3: parse error: unexpected identifier \"b\""),
        ("{}", "at least one non-empty matcher"),
        ("{a=~\".*\"}", "at least one non-empty matcher"),
        ("a{__name__=\"b\"}", "metric name must not be set twice"),
        ("a{__name__!=\"b\"}", "metric name must not be set twice"),
        ("(a)[5m]", "ranges only allowed for vector selectors"),
        ("(a) offset 1m", "must be preceded by a selector"),
        ("(a) @ 1", "must be preceded by a selector"),
        ("a offset 0s", "duration must be greater than 0"),
        ("1e400", "error parsing number"),
        ("0xffffffffffffffff", "error parsing number"),
        ("0x", "error parsing number"),
        ("0x1.8", "error parsing number"),
        ("1e", "error parsing number"),
        ("1_000", "bad number or duration syntax"),
        ("on", "1:1: parse error: unexpected <on>"),
        ("1 + BOOL", "unexpected end of input"),
        ("atan2 + 1", "unexpected <atan2>"),
        ("group_left{a=\"b\"}", "unexpected <group_left>"),
        ("sum by (without) (a)", "expected label"),
        ("sum by (Inf) (a)", "expected label"),
        ("a{b=~\"(\"}", "error parsing regexp \"(\""),
        ("a{b=\"c}", "unterminated quoted string"),
        ("1 > 2", "comparisons between scalars must use BOOL modifier"),
        ("a + bool b", "bool modifier can only be used on comparison operators"),
        ("1 and a", "set operator not allowed"),
        ("1 + on(x) a", "vector matching only allowed between instant vectors"),
        ("a and on(x) group_left b", "no grouping allowed for set operations"),
        ("a + on(x) group_left(x) b", "must not occur in ON and GROUP clause at once"),
        ("a[5m] + 1", "must contain only scalar and instant vector types"),
        ("-a[5m]", "unary expression only allowed"),
        ("a[0s]", "duration must be greater than 0"),
        ("a[5]", "expected a duration"),
        ("a[5m1h]", "bad number or duration syntax"),
        ("a[99999999y]", "out of range"),
        ("a offset 5m [5m]", "no offset or @ modifiers allowed before range"),
        ("sum(a)[5m]", "ranges only allowed for vector selectors"),
        ("sum(a) offset 5m", "must be preceded by a selector"),
        ("a offset 1m offset 2m", "offset may not be set multiple times"),
        ("a @ 1e300", "timestamp out of bounds"),
        ("rate(a)", "expected type range vector in call to function \"rate\", got instant vector"),
        ("sum(1)", "expected type instant vector in aggregation expression, got scalar"),
        ("topk(a)", "wrong number of arguments for aggregate expression provided, expected 2, got 1"),
        ("time(1)", "expected 0 argument(s) in call to \"time\", got 1"),
        ("round(a, 1, 2)", "expected at most 2 argument(s)"),
        ("a[5m:1m]", "a subquery is not supported by whyd"),
        ("\"text\"", "a string as an expression is not supported by whyd"),
        ("histogram_quantile(0.9, a)", "the function \"histogram_quantile\" is not supported by whyd"),
        ("label_replace(a, \"b\", \"$1\", \"c\", \"(.*)\")", "the function \"label_replace\" is not supported by whyd"),
        ("absent(a)", "the function \"absent\" is not supported by whyd"),
        ("quantile(0.9, a)", "the aggregation \"quantile\" is not supported by whyd"),
        ("count_values(\"x\", a)", "the aggregation \"count_values\" is not supported by whyd"),
        ("\u{1F600}", "unexpected character"),
        ("a{é=\"x\"}", "unexpected character"),
    ];
    for (text, want) in cases {
        match query(text) {
            Err(Error::Bad(why)) => assert!(why.contains(want), "{text}: {why}"),
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn size_and_depth_are_bounded() {
    let deep = 100_000;
    let cases = [
        "(".repeat(deep),
        format!("{}1{}", "(".repeat(deep), ")".repeat(deep)),
        format!("{}1", "-".repeat(deep)),
        format!("{}1", "- ".repeat(1000)),
        format!("{}1{}", "(".repeat(2000), ")".repeat(2000)),
        format!("{}a{}", "sum(".repeat(1000), ")".repeat(1000)),
        format!("{}1", "1^".repeat(1000)),
        format!("{}1", "1+".repeat(1000)),
        format!("{}a", "a or ".repeat(1000)),
        format!("{}1", "1+".repeat(deep)),
        format!("a{{{}}}", "b=~\"c.\",".repeat(1000)),
        format!("{{a=\"{}\"}}", "x".repeat(deep)),
        "[".repeat(deep),
        "{".repeat(deep),
    ];
    for text in cases {
        assert!(matches!(query(&text), Err(Error::Bad(_))), "{}", &text[..40]);
    }
    // A long quoted text is one token, and brackets in it nest nothing.
    query(&format!("{{a=\"{}\"}}", "(".repeat(10_000))).unwrap();
    query(&format!("{}1", "1+".repeat(100))).unwrap();
    query(&format!("{}1{}", "(".repeat(100), ")".repeat(100))).unwrap();
}
