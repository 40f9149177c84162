//! `completions` and `man`: what a shell and a reader of manuals want to know.

use clap::CommandFactory;
use clap_mangen::Man as Manual;

use crate::{
    arguments::{Arguments, Completions, Man},
    failure::Failure,
    page::Page,
};

/// Prints the completions of a shell.
pub(crate) fn completions(arguments: &Completions) -> Page {
    let mut script = Vec::new();
    clap_complete::generate(
        arguments.shell,
        &mut Arguments::command(),
        "xpmt",
        &mut script,
    );
    Page::from(String::from_utf8_lossy(&script).into_owned())
}

/// Prints a man page.
///
/// # Errors
///
/// [`Failure::Usage`] if there is no such command.
pub(crate) fn man(arguments: &Man) -> Result<Page, Failure> {
    let mut command = Arguments::command();
    command.build();
    if let Some(name) = &arguments.command {
        command = command
            .find_subcommand(name)
            .cloned()
            .ok_or_else(|| Failure::Usage(format!("no command `{name}`")))?;
        let title = format!("xpmt-{name}");
        command = command.display_name(title);
    }
    let mut page = Vec::new();
    Manual::new(command)
        .render(&mut page)
        .map_err(Failure::output)?;
    Ok(Page::from(String::from_utf8_lossy(&page).into_owned()))
}
