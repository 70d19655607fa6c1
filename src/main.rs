fn main() { sql_edge_supervisor::x(); }
