//! Makes a client of the interface description, as users of this crate do.

fn main() {
    varlink_generator::cargo_build("../../../../protocol/io.shmd.Segments.varlink");
}
