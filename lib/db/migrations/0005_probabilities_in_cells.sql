-- With the probabilities in the index of the cells, what bounds them is counted and gathered without the table.
create index profiles_cell_wide on profiles (country_id, gender, age, id)
  include (gender_probability, country_probability);
drop index profiles_cell;
alter index profiles_cell_wide rename to profiles_cell;
