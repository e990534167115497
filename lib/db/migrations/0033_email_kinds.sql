alter table emails validate constraint emails_kind_check;
