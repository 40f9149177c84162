use super::{DEFAULT_SIZE_LIMIT, DEFAULT_STEP_LIMIT, Pattern, PatternError, RegexMatching};

fn compile(source: &str, matching: RegexMatching) -> Result<Pattern, PatternError> {
    Pattern::compile(source, matching, DEFAULT_SIZE_LIMIT, DEFAULT_STEP_LIMIT)
}

fn full(source: &str, text: &str) -> bool {
    compile(source, RegexMatching::Full)
        .expect("pattern compiles")
        .is_match(text)
}

fn search(source: &str, text: &str) -> bool {
    compile(source, RegexMatching::Search)
        .expect("pattern compiles")
        .is_match(text)
}

fn error(source: &str) -> PatternError {
    compile(source, RegexMatching::Full).expect_err("pattern does not compile")
}

#[test]
fn full_takes_the_whole_text_and_search_a_part() {
    assert!(full("pro", "pro"));
    assert!(!full("pro", "profile"));
    assert!(search("pro", "a profile"));
    assert!(
        !full("pro|free", "free pro"),
        "the alternation stands inside the anchors"
    );
}

#[test]
fn classes_are_ascii_without_a_flag() {
    assert!(full(r"\d\w\s", "1a "));
    for (pattern, text) in [
        (r"\d", "٣"),
        (r"\w", "é"),
        (r"\s", "\u{a0}"),
        ("(?i)É", "é"),
    ] {
        assert!(!full(pattern, text), "{pattern} on {text}");
    }
    assert!(full("(?i)[^a]K", "bk"));
    assert!(!full("(?i)[^a]", "A"), "Java folds before it negates");
}

#[test]
fn dot_leaves_out_all_line_terminators() {
    for terminator in ["\n", "\r", "\u{85}", "\u{2028}", "\u{2029}"] {
        assert!(!full(".", terminator));
        assert!(full("(?s).", terminator));
    }
    assert!(full("(?d).", "\r"));
}

#[test]
fn classes_nest_and_intersect() {
    assert!(full("[a-z&&[^b-y]]+", "az"));
    assert!(!full("[a-z&&[^b-y]]", "m"));
    assert!(
        full("[^a&&b]", "b") && full("[^ab&&bc]", "a"),
        "the caret negates the intersection"
    );
    assert!(
        full("[[:alpha:]]", ":"),
        "Java has no such classes, only these characters"
    );
    assert!(full("[]a]", "]") && full("[a-]", "-") && full("[a-[b]]", "-"));
}

#[test]
fn quotations_are_literal_wherever_they_stand() {
    assert!(full(r"\Qa.b\E+", "a.bb"));
    assert!(full(r"[\Q^-]\E]+", "^-]"));
    assert!(full(r"\Qa|b", "a|b"));
}

#[test]
fn dollar_in_a_search_holds_before_a_last_line_terminator() {
    for terminator in ["", "\n", "\r\n", "\u{2028}"] {
        assert!(
            search("a$", &alloc::format!("ba{terminator}")),
            "{terminator:?}"
        );
    }
    assert!(search("^(?:a|b$)", "b\n"));
    assert!(!search(r"a$\z", "a\n") && !search("a$", "a\nb") && !search("(?d)a$", "a\r"));
    assert!(!full("a$", "a\n"));
}

#[test]
fn what_java_rejects_is_invalid() {
    for source in [
        "*",
        "a**",
        "{",
        "a{,2}",
        "a{2,1}",
        "a{2147483648}",
        "(?P<n>a)",
        "(?<n>a)(?<n>b)",
        "(?<1>a)",
        r"\k<n>",
        "(?#c)",
        "(?z)",
        "(?i)*",
        r"\y",
        r"\08",
        r"\xg",
        r"\x{110000}",
        r"\u12",
        "[z-a]",
        r"[a-\d]",
        "[]",
        "[a",
        "[&&]",
        r"\p{Foo}",
        r"\p{",
        "(",
        ")",
        r"a\",
        r"\X(",
    ] {
        assert!(
            matches!(error(source), PatternError::Invalid { .. }),
            "{source}"
        );
    }
}

#[test]
fn an_invalid_pattern_says_where() {
    let PatternError::Invalid { offset, .. } = error("é(a**)") else {
        panic!("invalid")
    };
    assert_eq!(offset, 5);
}

#[test]
fn what_no_engine_runs_is_unsupported() {
    for source in [
        r"\X",
        r"\N{SPACE}",
        r"\p{InGreek}",
        r"\p{javaLowerCase}",
        r"\ud83d",
        "(?c)a",
    ] {
        assert!(
            matches!(error(source), PatternError::Unsupported { .. }),
            "{source}"
        );
    }
    let deep = "(".repeat(100_000);
    assert!(matches!(error(&deep), PatternError::Unsupported { .. }));
}

#[test]
fn hostile_repetitions_are_too_large() {
    for source in ["((a{1,100}){1,100}){1,100}", "(|a){2147483647}", ".{9999}"] {
        assert_eq!(
            error(source),
            PatternError::TooLarge {
                limit: DEFAULT_SIZE_LIMIT
            },
            "{source}"
        );
    }
    assert!(
        full("^{2147483647}x{0,1000}", "xx"),
        "places are not copied"
    );
}

#[cfg(feature = "unicode")]
#[test]
fn properties_follow_unicode() {
    assert!(full(
        r"\p{L}\pL\p{IsLatin}\p{script=Han}\p{gc=Nd}",
        "éÉé日٣"
    ));
    assert!(full(r"(?U)\w\d\p{alpha}", "é٣é") && full("(?iu)É", "é"));
    assert!(full(r"(?i)\p{Lower}\p{Lu}", "Aé"));
    assert!(matches!(
        error("(?U)[\\w]{200}"),
        PatternError::TooLarge { .. }
    ));
}

#[cfg(not(feature = "unicode"))]
#[test]
fn properties_of_unicode_want_the_feature() {
    assert!(matches!(error(r"\p{L}"), PatternError::Unsupported { .. }));
    assert!(full(r"\p{Alpha}\h", "a\u{a0}"));
}

#[cfg(not(feature = "lookaround"))]
#[test]
fn look_around_wants_the_feature() {
    for source in ["(?=a)a", "(?<!a)b", r"(a)\1", "(?>a)", "a++"] {
        assert!(
            matches!(error(source), PatternError::Unsupported { .. }),
            "{source}"
        );
    }
}

#[cfg(feature = "lookaround")]
#[test]
fn look_around_runs_within_its_steps() {
    assert!(full("(?=.*a)(?!b).*", "ca") && full(r"(?<n>a)(b)?\k<n>", "aa"));
    assert!(!full("a?+a", "a") && !full("(?>a|ab)c", "abc"));
    assert!(full(r"(?=a)a\b.\bb", "a b") && !full(r"(?=a)a\bé", "aa"));
    assert!(search("(?=a)a$", "a\r\n") && !search("(?=a)a$", "a\nb"));
    let text = "a".repeat(64);
    assert!(
        !full("(?:(?=a)a|a)*b", &text),
        "gives up instead of trying for years"
    );
}
