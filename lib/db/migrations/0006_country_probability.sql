-- A rare bound on it had to be looked for in the whole index of the cells. Nothing is ordered by it, hence no id.
create index profiles_country_probability on profiles (country_probability);
