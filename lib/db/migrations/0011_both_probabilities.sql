-- With the other probability beside it, bounds on both are counted in this index alone: at ten million rows in 0.18
-- instead of 0.8 s, for 77 MB more.
create index profiles_gender_probability_wide on profiles (gender_probability, id) include (country_probability);
drop index profiles_gender_probability;
alter index profiles_gender_probability_wide rename to profiles_gender_probability;
