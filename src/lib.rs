pub fn x() {
    let _ = std::hint::black_box(tiberius::Config::new());
}
