#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use regex::bytes::Regex;

use super::*;
use crate::promql::unicode::names;

#[test]
fn what_go_refuses_is_refused() {
    let refused = [
        "(?x)a",
        "(?u)a",
        "(?-u)a",
        "(?R)a",
        "(?-)a",
        "(?i-)a",
        "(?<n>a)",
        "(?P<>a)",
        "(?P<a-b>a)",
        "(?=a)",
        "(?#c)a",
        "p**0",
        "p*??0",
        "p*+0",
        "p+*",
        "p{2}{3}",
        "p{2}?{3}",
        "*",
        "a|*",
        "(*a)",
        "{2}",
        r"\Q\E*",
        "p{2,1}",
        "p{1001}",
        "p0{1,2000}",
        "(p{100}){11}",
        "(p{100}){0,11}",
        "((p{100}){1,1}){11}",
        "p{99999999999}",
        r"\u0070",
        r"\x{}",
        r"\x{110000}",
        r"\x7",
        r"\pé",
        r"\p{Alphabetic}",
        r"\p{greek}",
        r"\p{sc=Greek}",
        r"\p{}",
        r"\p",
        r"\C",
        r"\Z",
        r"\G",
        r"\E",
        r"\é",
        r"\1",
        r"\8",
        r"\h",
        r"\R",
        r"\Qab",
        "[p--q]",
        "[q-p]",
        "[]",
        "[^]",
        "[[:foo:]]",
        "[[:alpha:",
        r"[a-\d]",
        r"[\b]",
        r"[\Qa\E]",
        r"[\p{Foo}]",
        "[a",
        r"[\",
        r"a\",
        "(a",
        "a)",
        "a)(b",
        "(?P<n",
        "(?i",
        "(?",
        ")",
    ];
    for pattern in refused {
        assert!(translated(pattern, &mut usize::MAX.clone()).is_err(), "{pattern}");
    }
    let taken = [
        "(?)a",
        "(?i-s:a)",
        "(?ii)a",
        "(?U)a*",
        "(?P<n>a)(?P<n>b)",
        "p*?0",
        "a*(?i)*",
        "()*",
        "(?:)*",
        "^*",
        "$+",
        r"\b+",
        r"\b{2}",
        r"\B",
        r"\pN",
        r"\p{^Han}",
        r"\P{^Han}",
        r"\p{Cs}",
        r"\PC",
        r"\Q\E",
        r"a\Q\E*",
        r"\_",
        r"\11",
        r"\08",
        "((p{1000}){0}){1000}",
        "(p{100}){10}",
        "p{a}",
        "p{",
        "{",
        "}",
        "[--q]",
        "[p-q-r]",
        "[a~~b]",
        "[]]",
        "[^]]",
        "[[:^alpha:]]",
        "[[.a.]]",
        "[[=a=]]",
        "[[a]",
        r"[\d-z]",
        "|",
        "(|)",
        "(?s)a.b",
        "a#b",
        "[a&&[b]]",
    ];
    for pattern in taken {
        let made = translated(pattern, &mut usize::MAX.clone()).unwrap_or_else(|why| panic!("{pattern}: {why}"));
        Regex::new(&made).unwrap_or_else(|why| panic!("{pattern}: {why}"));
    }
}

#[test]
fn every_class_with_a_name_is_one_that_the_crate_knows() {
    for name in names() {
        let made = translated(&format!(r"\p{{{name}}}"), &mut usize::MAX.clone()).unwrap();
        Regex::new(&made).unwrap_or_else(|why| panic!("{name}: {why}"));
    }
}
