//! What `xpmt evaluate --users` costs, against reading the same users as JSON values.
//!
//! ```text
//! users_cost generate 1000000 > users.ndjson
//! users_cost read users.ndjson
//! xpmt evaluate --flags examples/users_cost/flags.json --users users.ndjson > /dev/null
//! ```
//!
//! `read` is the yardstick: one thread, one `serde_json::Value` per line. The whole CPU time of
//! `xpmt` is to be at most twice that of `read`.

use std::{
    env,
    fs::File,
    hint::black_box,
    io::{self, BufRead, BufReader, BufWriter, Write},
    process::ExitCode,
};

fn main() -> io::Result<ExitCode> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["generate", count] => generate(count.parse().unwrap_or(0))?,
        ["read", path] => read(path)?,
        _ => {
            eprintln!("usage: users_cost generate COUNT | users_cost read FILE");
            return Ok(ExitCode::from(2));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Users like those of `users.ndjson` beside this file, all different.
fn generate(count: u64) -> io::Result<()> {
    let mut output = BufWriter::new(io::stdout().lock());
    for n in 0..count {
        let id = n.wrapping_mul(0x9e37_79b1) & 0xffff_ffff;
        let country = nth(n, &["US", "NO", "DE", "JP"]);
        let plan = nth(n, &["premium", "free", "enterprise"]);
        let locale = nth(n, &["en_US", "de_DE"]);
        let (minor, account) = (n % 12, n.wrapping_mul(37) % 2000);
        writeln!(
            output,
            concat!(
                r#"{{"user_id":"user-{id:08x}-{low:04}","user_properties":{{"country":"{country}","#,
                r#""plan":"{plan}","app_version":"3.{minor}.2","email":"person{n}.lastname@example.com","#,
                r#""locale":"{locale}","device":"iPhone15,2","account":"acct-{account:06}","beta":"true"}}}}"#
            ),
            id = id,
            low = n % 10_000,
            country = country,
            plan = plan,
            minor = minor,
            n = n,
            locale = locale,
            account = account,
        )?;
    }
    output.flush()
}

/// One of the values, in turn.
fn nth(n: u64, values: &[&'static str]) -> &'static str {
    let place = n.checked_rem(values.len() as u64).unwrap_or_default();
    let place = usize::try_from(place).unwrap_or_default();
    values.get(place).copied().unwrap_or_default()
}

/// Reads every line as a JSON value and drops it.
fn read(path: &str) -> io::Result<()> {
    let mut lines = BufReader::with_capacity(1 << 20, File::open(path)?);
    let (mut line, mut read) = (String::new(), 0_u64);
    while lines.read_line(&mut line)? > 0 {
        if let Ok(value) = serde_json::from_str::<serde_json::Value>(&line) {
            black_box(&value);
            read = read.wrapping_add(1);
        }
        line.clear();
    }
    eprintln!("{read} users");
    Ok(())
}
