alter table frame add column name varchar default '';
alter table class_template add column rules varchar default '[]';
alter table region add column attributes varchar default '{}';
alter table edit add column bulk bigint default 0;

-- The changes of edits that touch thousands of rows: read and applied a batch at a time.
create table bulk_change (
    edit_id varchar not null,
    number bigint not null,
    "table" varchar not null,
    id varchar not null,
    before varchar not null,
    after varchar not null
);
create index bulk_change_edit on bulk_change (edit_id);
