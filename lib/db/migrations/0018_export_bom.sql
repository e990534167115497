-- Whether a CSV file begins with a byte order mark, by which Excel knows that it is UTF-8.
alter table exports add column bom boolean not null default false;
